"""The benchmark: the collector beside its peers, in one run, in interleaved rounds."""
