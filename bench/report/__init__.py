"""From records to what a person reads. Only here is a number rounded and given its unit."""
