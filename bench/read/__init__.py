"""From records to estimates: groups comparable records. Figures are in base units and unrounded."""
