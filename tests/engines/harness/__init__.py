"""What the behaviour tests share: a raw client, servers in and out of process, small apps."""
