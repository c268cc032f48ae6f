"""What is Valkey's alone: its protocol, its users, its parameters, how its members follow, its backups."""
