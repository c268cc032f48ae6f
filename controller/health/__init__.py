"""Whether the cloud is well: one list of findings for `/ready`, `aerekos status` and `aerekos doctor`.

`finding` says what a finding is, `resources` and `workers` find in what is stored and heard, `machine` on the
conductor's own disk, memory and certificates; `report` puts them together.
"""
