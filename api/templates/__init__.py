"""Services to begin with: one YAML file of this folder each, and nothing else to change for another one."""
