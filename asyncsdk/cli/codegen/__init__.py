"""The command `asyncsdk codegen`: types for the names of a project and the events of a tracking plan."""
