// Room Policy.
