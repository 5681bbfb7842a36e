"""A gateway: UPSs that speak SNMP (UPS-MIB, RFC 1628) become assets of kind ``ups``.

    python -m examples.ups_snmp gateway.yaml            poll and publish until told to stop
    python -m examples.ups_snmp gateway.yaml --show     what each UPS says now, nothing is sent

``config`` is what a person writes, ``mib`` the names of RFC 1628, ``snmp`` one UPS's answers,
``mapping`` their meaning in our contract, ``alarms`` its alarm table, ``outbox`` the way to the
broker, ``gateway`` what keeps it all going. ``agent`` is a UPS that does not exist.
"""
