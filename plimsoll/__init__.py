"""The faces of Plimsoll: the command line, its settings, and the run folders it writes."""
