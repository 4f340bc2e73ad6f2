"""Calls of one server on the engines of many machines.

In: leases on slots of replicas, and the caller's samples. Out: the same events as of a clock in
this process. Only `on_ray` knows Ray, and nothing here knows protocols.

    leases.py    who holds which slot: a ledger, pure
    replica.py   a clock that takes orders and gives events in batches
    gateway.py   the clock as a server sees it, whose lines are on replicas
    on_ray.py    all of it as actors of a Ray cluster
"""
