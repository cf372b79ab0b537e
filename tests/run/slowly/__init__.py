"""An app with jobs that take their time, for the tests of brokers and workers."""
