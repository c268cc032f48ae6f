"""Resources as every part of the cloud may use them: one protocol, in the conductor's process or over HTTP."""
