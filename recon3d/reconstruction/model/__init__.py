"""The model of one scan: what is known, estimated and checked before a fit."""
