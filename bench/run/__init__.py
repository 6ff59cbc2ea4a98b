"""From a question to records: what is to be measured, and who carries it out."""
