"""The vendors: one file or folder each. Adding one is adding a file (see `_base.Destination`)."""
