"""The query API of Amazon RDS over Databases: a DB instance is a Database of the same name."""
