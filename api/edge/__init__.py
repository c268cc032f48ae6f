"""What stands between the network and the application: limits, and headers that only the edge knows.

No framework is imported here, and no resource: the same modules serve whatever process holds the port.
"""
