"""Reports of records. Numbers are rounded and formatted with units only here."""
