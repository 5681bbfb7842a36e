"""Alarms reach people: routes decide who is told, an outbox holds each notification until its
receiver took it, and every webhook is signed (Standard Webhooks)."""
