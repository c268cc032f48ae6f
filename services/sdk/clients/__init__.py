"""Clients of other managed services: `ServiceContext.service_client`."""
