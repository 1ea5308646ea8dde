"""deploy/compose, as its pages say it: the files by their own tools, and all of it running."""
