"""Events on their way through an engine: `EngineLane` hands them over, `LeaseReader` gives a relay's lane its share."""
