"""From records to estimates: what may be compared is put together, in base units and unrounded."""
