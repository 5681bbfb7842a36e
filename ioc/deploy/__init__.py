"""Setting a deployment up: secrets, the broker's users, certificates, InfluxDB's bucket."""
