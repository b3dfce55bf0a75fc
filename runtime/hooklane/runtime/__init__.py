"""What a process needs to run: settings, Kafka clients, logs, metrics, health, shutdown."""
