"""Controls that the widgets share."""
