"""Pictures of charts, all drawn from the `Chart` that the machine runs. One module for each format."""
