"""Bitcoin regtest: one node, a funded pledgor, blocks and reorganisations on demand."""

import contextlib
import hmac
import secrets
import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from deploy.localnet.json_rpc import JsonRpc, RpcError
from deploy.localnet.ports import LOOPBACK
from deploy.localnet.processes import ManagedProcess, ProcessSpec, Supervisor
from deploy.localnet.state import write_private

READ_METHODS: Final = (
    "decoderawtransaction",
    "deriveaddresses",
    "estimatesmartfee",
    "getbestblockhash",
    "getblock",
    "getblockchaininfo",
    "getblockcount",
    "getblockhash",
    "getblockheader",
    "getblockstats",
    "getchaintips",
    "getdescriptorinfo",
    "getindexinfo",
    "getmempoolancestors",
    "getmempooldescendants",
    "getmempoolentry",
    "getmempoolinfo",
    "getnetworkinfo",
    "getrawmempool",
    "getrawtransaction",
    "gettxout",
    "gettxoutproof",
    "gettxspendingprevout",
    "testmempoolaccept",
    "uptime",
    "validateaddress",
    "verifytxoutproof",
    "waitforblockheight",
    "waitfornewblock",
)
CUSTODY_METHODS: Final = (*READ_METHODS, "scantxoutset", "sendrawtransaction", "submitpackage")
SATS_PER_BITCOIN: Final = 100_000_000

_WALLET: Final = "pledgor"
# disable_private_keys, blank, passphrase, avoid_reuse, descriptors, load_on_startup
_LOADED_AT_EVERY_START: Final = (False, False, "", False, True, True)
_VERBOSE: Final = (True,)
_MATURE_COINBASES: Final = 10
_COINBASE_MATURITY_BLOCKS: Final = 100
_FEE_SATS_PER_VBYTE: Final = 2
_FUNDED_AGO_SECONDS: Final = 600
_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 30.0
_WARMING_UP: Final = -28  # RPC_IN_WARMUP
_NOT_IN_WALLET: Final = -5  # RPC_INVALID_ADDRESS_OR_KEY


@dataclass(frozen=True, kw_only=True)
class BitcoinRpcUser:
    """How one process reaches the node.

    Attributes:
        url: without credentials.
        username: of the node's `rpcauth`.
        password_file: mode 0600, the password without a newline.
    """

    url: str
    username: str
    password_file: Path


class BitcoinRpc:
    """The localnet's own access to its node, by the cookie: from any process of this user.

    Args:
        folder: the node's.
    """

    def __init__(self, *, folder: Path, port: int) -> None:
        self._folder = folder
        self._port = port

    def call(self, method: str, *parameters: Any) -> Any:
        """Any RPC, as the localnet itself.

        Raises:
            RpcError: the node answered with an error.
            OSError: it could not be reached.
        """
        return self._rpc().call(method, *parameters)

    def wallet_call(self, method: str, *parameters: Any) -> Any:
        """Any RPC of the pledgor's wallet; raises as `call` does."""
        return self._rpc(path=f"/wallet/{_WALLET}").call(method, *parameters)

    def send(self, *, address: str, amount_sats: int) -> str:
        """Pay from the pledgor's wallet and broadcast; the transaction id."""
        amount = Decimal(amount_sats) / SATS_PER_BITCOIN
        options = {"fee_rate": _FEE_SATS_PER_VBYTE, "add_to_wallet": True}
        sent = self.wallet_call("send", {address: amount}, None, "unset", None, options)
        raw = self.wallet_call("gettransaction", sent["txid"])["hex"]
        return str(self.call("sendrawtransaction", raw))

    def balance_of(self, address: str) -> int:
        """What lies at any address, in satoshis."""
        found = self.call("scantxoutset", "start", [f"addr({address})"])
        return int(Decimal(found["total_amount"]) * SATS_PER_BITCOIN)

    def _rpc(self, *, path: str = "/") -> JsonRpc:
        # The cookie changes at every start.
        cookie = (self._folder / "regtest/.cookie").read_text(encoding="ascii")
        return JsonRpc(port=self._port, path=path, credentials=cookie)


class Bitcoind(BitcoinRpc):
    """A regtest node with txindex.

    Every user has a whitelist of its own: custody may also broadcast, signers only read. The localnet itself
    uses the node's cookie. The pledgor's wallet never broadcasts by itself: what left the mempool stays out.

    Args:
        command: starts bitcoind, without options.
        users: methods allowed, by user name.
    """

    def __init__(
        self,
        *,
        command: tuple[str, ...],
        folder: Path,
        credentials_folder: Path,
        log_file: Path,
        port: int,
        users: Mapping[str, Collection[str]],
        supervisor: Supervisor,
    ) -> None:
        super().__init__(folder=folder, port=port)
        self._chain_lock = threading.RLock()
        self.url = f"http://{LOOPBACK}:{port}"
        self.users = {name: self._add_user(name, credentials_folder) for name in users}
        configuration = folder / "bitcoin.conf"
        write_private(configuration, self._configuration(users))
        self.process: ManagedProcess = supervisor.process(
            ProcessSpec(
                name="bitcoind",
                command=(*command, f"-datadir={folder}", f"-conf={configuration}"),
                log_file=log_file,
                folder=folder,
                grace_seconds=_STOP_SECONDS,
            )
        )

    def start(self) -> None:
        """Start and wait until it answers; at the first start also fund the pledgor.

        Raises:
            ProcessFailedError: it did not come up.
        """
        self.process.start()
        self.process.wait_until(self._answers, what="answering", deadline_seconds=_START_SECONDS)
        if not (self._folder / "regtest/wallets" / _WALLET).exists():
            self._fund_pledgor()

    def stop(self) -> None:
        self.process.stop()

    def kill(self) -> None:
        """SIGKILL: the mempool is lost with it.

        Blocks since the last flush would be lost too, and for good: a real node fetches them again from its
        peers, and this one has none. So the chain is flushed first, which `gettxoutsetinfo` does.
        """
        with contextlib.suppress(OSError, RpcError):  # a node that hangs or is down is killed all the same
            self.call("gettxoutsetinfo", "none")
        self.process.kill()

    def restart(self) -> None:
        """Stop and start; the mempool is kept, as the node writes it out."""
        self.stop()
        self.start()

    def height(self) -> int:
        return int(self.call("getblockcount"))

    def tip(self) -> str:
        """Hash of the best block."""
        return str(self.call("getbestblockhash"))

    def mempool(self) -> frozenset[str]:
        """Transaction ids that wait for a block."""
        return frozenset(self.call("getrawmempool"))

    def new_address(self) -> str:
        """A fresh P2WPKH address of the pledgor's wallet."""
        return str(self.wallet_call("getnewaddress", "", "bech32"))

    def balance_sats(self) -> int:
        """What the pledgor's wallet can spend."""
        return int(Decimal(self.wallet_call("getbalance")) * SATS_PER_BITCOIN)

    def send(self, *, address: str, amount_sats: int) -> str:
        with self._chain_lock:
            return super().send(address=address, amount_sats=amount_sats)

    def mine(self, blocks: int = 1) -> tuple[str, ...]:
        """Mine blocks with what waits in the mempool; their hashes. Nobody owns the coinbases."""
        with self._chain_lock:
            return tuple(self.call("generatetodescriptor", blocks, _unowned_descriptor()))

    def reorg(self, depth: int, *, drop: Collection[str] = ()) -> tuple[str, ...]:
        """Replace the last blocks by one more empty block than they were.

        Their transactions wait in the mempool again, but for those in `drop` and their descendants: these are
        in neither chain nor mempool afterwards, as if the network had never kept them. For that the node is
        restarted, as no RPC takes a transaction out of a mempool.

        Args:
            depth: blocks replaced, at least 1.
            drop: transaction ids.

        Returns:
            Hashes of the new blocks.

        Raises:
            ValueError: the chain has fewer blocks above its first.
        """
        with self._chain_lock:
            height = self.height()
            if not 1 <= depth <= height:
                raise ValueError(f"depth {depth} of a chain of height {height}")
            self.call("invalidateblock", self.call("getblockhash", height - depth + 1))
            if drop:
                self._forget(frozenset(drop))
            return tuple(self._mine_empty_block() for _ in range(depth + 1))

    def _mine_empty_block(self) -> str:
        return str(self.call("generateblock", _unowned_descriptor(), [])["hash"])

    def _forget(self, dropped: frozenset[str]) -> None:
        gone = dropped.union(*(self.call("getmempooldescendants", txid) for txid in dropped & self.mempool()))
        kept = [self.call("getrawtransaction", txid) for txid in self._parents_first() if txid not in gone]
        self.stop()
        (self._folder / "regtest/mempool.dat").unlink(missing_ok=True)
        self.start()
        for raw in kept:
            self.call("sendrawtransaction", raw)
        for txid in gone:
            self._abandon(txid)

    def _parents_first(self) -> list[str]:
        entries = self.call("getrawmempool", *_VERBOSE)
        return sorted(entries, key=lambda txid: int(entries[txid]["ancestorcount"]))

    def _abandon(self, txid: str) -> None:
        """Let the pledgor's wallet spend those coins again, where it was the wallet's transaction."""
        try:
            self.wallet_call("abandontransaction", txid)
        except RpcError as error:
            if error.code != _NOT_IN_WALLET:
                raise

    def _fund_pledgor(self) -> None:
        self.call("createwallet", _WALLET, *_LOADED_AT_EVERY_START)
        # Blocks found this fast run ahead of the clock, which signers compare with it: begin in the past.
        self.call("setmocktime", int(time.time()) - _FUNDED_AGO_SECONDS)
        self.call("generatetoaddress", _MATURE_COINBASES, self.new_address())
        self.mine(_COINBASE_MATURITY_BLOCKS)
        self.call("setmocktime", 0)

    def _answers(self) -> bool:
        try:
            self.call("getblockchaininfo")
        except RpcError as error:
            if error.code == _WARMING_UP:
                return False
            raise
        return True

    def _add_user(self, name: str, folder: Path) -> BitcoinRpcUser:
        password_file = folder / f"bitcoind-{name}.password"
        write_private(password_file, secrets.token_urlsafe(32))
        return BitcoinRpcUser(url=self.url, username=name, password_file=password_file)

    def _configuration(self, users: Mapping[str, Collection[str]]) -> str:
        lines = [
            "regtest=1",
            "[regtest]",
            "server=1",
            "txindex=1",
            "listen=0",
            "connect=0",
            "dnsseed=0",
            "natpmp=0",
            "walletbroadcast=0",
            "fallbackfee=0.00002",
            "printtoconsole=1",
            "nodebuglogfile=1",
            "dbcache=16",
            "rpcthreads=8",
            "rpcworkqueue=256",
            f"rpcbind={LOOPBACK}",
            f"rpcallowip={LOOPBACK}/32",
            f"rpcport={self._port}",
            # Who has no whitelist may call everything: only the cookie's user, the localnet itself.
            "rpcwhitelistdefault=0",
        ]
        for name, methods in users.items():
            password = self.users[name].password_file.read_text(encoding="ascii")
            lines.append(f"rpcauth={_rpcauth(name, password)}")
            lines.append(f"rpcwhitelist={name}:{','.join(sorted(methods))}")
        return "\n".join(lines) + "\n"


def _rpcauth(username: str, password: str) -> str:
    """The salted hash that stands for a password in bitcoin.conf (share/rpcauth of Bitcoin Core)."""
    salt = secrets.token_hex(16)
    digest = hmac.new(salt.encode(), password.encode(), "sha256").hexdigest()
    return f"{username}:{salt}${digest}"


def _unowned_descriptor() -> str:
    """An unspendable output, different each time.

    A competing block with equal contents would have the hash of the block it replaces, marked invalid.
    """
    return f"raw(6a08{secrets.token_hex(8)})"
