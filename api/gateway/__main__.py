"""See api/gateway/process.py."""

from api.gateway.process import main

if __name__ == "__main__":
    main()
