"""What the demo plays, one file for each kind of act."""
