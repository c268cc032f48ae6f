"""db_manager: databases as resources. See manifest.py."""
