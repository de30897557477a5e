"""Ethereum: payouts of a pledge account's externally owned account, built here and judged by eth-account.

Everything is pure except `node`.
"""
