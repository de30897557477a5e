"""Bitcoin: payouts of a pledge account's `wsh(sortedmulti(2, …))`, built by one library and judged by others.

`construct` and the signatures' hashes come from embit; `verify` decodes with python-bitcoinlib, checks
signatures with OpenSSL and scripts with libbitcoinkernel. The two sides share nothing but `coins` and the
statements. Everything is pure except `node`.
"""
