"""An Ethereum development chain: blocks on demand, finality two blocks behind, reorganisations below it."""

import secrets
import threading
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

from eth_account import Account
from eth_account.signers.local import LocalAccount

from deploy.localnet.json_rpc import JsonRpc
from deploy.localnet.ports import LOOPBACK
from deploy.localnet.processes import ManagedProcess, ProcessSpec, Supervisor
from deploy.localnet.state import write_private

CHAIN_ID: Final = 31337
WEI_PER_ETHER: Final = 10**18
FAUCET_KEY_NAME: Final = "faucet.key"

_FAUCET_WEI: Final = 10_000 * WEI_PER_ETHER
_TRANSFER_GAS: Final = 21_000
_PRIORITY_FEE_WEI: Final = 10**9
_START_SECONDS: Final = 30.0
_HASHES_ONLY: Final = (False,)  # whole transactions: no


class Anvil:
    """A chain whose blocks are mined only when asked for, with the time of the wall clock.

    There are no development accounts: their keys are public, and production code must never get used to them.
    Ether comes from an account whose key is drawn here and lies in the folder, as bitcoind's wallet does.
    """

    def __init__(
        self, *, command: tuple[str, ...], folder: Path, log_file: Path, port: int, supervisor: Supervisor
    ) -> None:
        self._chain_lock = threading.RLock()
        self._rpc = JsonRpc(port=port)
        self._faucet: LocalAccount = Account.create()
        write_private(folder / FAUCET_KEY_NAME, self._faucet.key.hex())
        self._funded = False
        self.url = f"http://{LOOPBACK}:{port}"
        options = {
            "--host": LOOPBACK,
            "--port": str(port),
            "--chain-id": str(CHAIN_ID),
            "--slots-in-an-epoch": "1",
            "--accounts": "0",
            "--state": str(folder / "state.json"),
            "--allow-origin": self.url,
        }
        flags = ("--no-mining", "--preserve-historical-states")
        self.process: ManagedProcess = supervisor.process(
            ProcessSpec(
                name="anvil",
                command=(*command, *(word for option in options.items() for word in option), *flags),
                log_file=log_file,
                folder=folder,
            )
        )

    @property
    def pledgor_address(self) -> str:
        """The funded account that `send` pays from (EIP-55)."""
        return str(self._faucet.address)

    def start(self) -> None:
        """Start and wait until it answers; at the first start also fund the pledgor.

        Raises:
            ProcessFailedError: it did not come up.
        """
        self.process.start()
        self.process.wait_until(self._answers, what="answering", deadline_seconds=_START_SECONDS)
        if not self._funded:
            self.call("anvil_setBalance", self.pledgor_address, hex(_FAUCET_WEI))
            self.mine(3)  # the balance then stands in a finalised block, with a state root that proofs match
            self._funded = True

    def stop(self) -> None:
        """End it; the chain is written to its folder and loaded at the next start."""
        self.process.stop()

    def kill(self) -> None:
        """The crash of an Ethereum node.

        Played by SIGTERM: anvil holds its chain in memory and would forget what a real node has on disk. What
        others see is the same: connections drop, and the mempool is gone.
        """
        self.process.stop()

    def restart(self) -> None:
        self.stop()
        self.start()

    def call(self, method: str, *parameters: Any) -> Any:
        """Any RPC.

        Raises:
            RpcError: the node answered with an error.
            OSError: it could not be reached.
        """
        return self._rpc.call(method, *parameters)

    def height(self) -> int:
        return int(self.call("eth_blockNumber"), 16)

    def tip(self) -> str:
        """Hash of the latest block."""
        return str(self._block("latest")["hash"])

    def balance_wei(self, address: str) -> int:
        """At the latest block."""
        return int(self.call("eth_getBalance", address, "latest"), 16)

    def mempool(self) -> frozenset[str]:
        """Hashes of transactions that wait for a block."""
        content = self.call("txpool_content")
        return frozenset(
            transaction["hash"]
            for queue in (content["pending"], content["queued"])
            for by_nonce in queue.values()
            for transaction in by_nonce.values()
        )

    def send(self, *, address: str, amount_wei: int) -> str:
        """Pay from the pledgor's account; the transaction hash."""
        with self._chain_lock:
            return transfer(self._rpc, self._faucet, address=address, amount_wei=amount_wei)

    def mine(self, blocks: int = 1) -> tuple[str, ...]:
        """Mine blocks with what waits in the mempool; their hashes."""
        with self._chain_lock:
            return tuple(self._mine_block() for _ in range(blocks))

    def reorg(self, depth: int, *, drop: Collection[str] = ()) -> tuple[str, ...]:
        """Replace the last blocks, also finalised ones, by one more empty block than they were.

        Their transactions wait in the mempool again, but for those in `drop`: these are in neither then.
        A later transaction of the same sender then waits for the missing nonce.

        Args:
            depth: blocks replaced, at least 1.
            drop: transaction hashes.

        Returns:
            Hashes of the new blocks.

        Raises:
            ValueError: the chain has fewer blocks above its first.
        """
        with self._chain_lock:
            height = self.height()
            if not 1 <= depth <= height:
                raise ValueError(f"depth {depth} of a chain of height {height}")
            replaced = [self._block(hex(number)) for number in range(height - depth + 1, height + 1)]
            replaced_hashes = [name for block in replaced for name in block["transactions"]]
            waiting = [*replaced_hashes, *self.mempool()]
            kept = [self.call("eth_getRawTransactionByHash", name) for name in waiting if name not in drop]
            # Without a miner of its own an empty block of the same second would have the hash it replaces.
            self.call("anvil_setCoinbase", "0x" + secrets.token_hex(20))
            self.call("anvil_setBlockTimestampInterval", 1)
            self.call("anvil_reorg", depth, [])
            self.call("anvil_removeBlockTimestampInterval")
            self.call("anvil_dropAllTransactions")
            self._mine_block()
            for raw in kept:
                self._broadcast(raw)
            return tuple(
                str(self._block(hex(number))["hash"]) for number in range(height - depth + 1, height + 2)
            )

    def _mine_block(self) -> str:
        # Ethereum's time strictly rises; several blocks within a second run ahead of the clock by that much.
        parent_time = int(self._block("latest")["timestamp"], 16)
        self.call("evm_setNextBlockTimestamp", max(int(time.time()), parent_time + 1))
        self.call("evm_mine")
        return self.tip()

    def _broadcast(self, raw: str) -> str:
        return str(self.call("eth_sendRawTransaction", raw))

    def _block(self, number: str) -> dict[str, Any]:
        block: dict[str, Any] = self.call("eth_getBlockByNumber", number, *_HASHES_ONLY)
        return block

    def _answers(self) -> bool:
        return int(self.call("eth_chainId"), 16) == CHAIN_ID


def transfer(rpc: JsonRpc, sender: LocalAccount, *, address: str, amount_wei: int) -> str:
    """Sign and broadcast a plain payment; the transaction hash."""
    latest = rpc.call("eth_getBlockByNumber", "latest", *_HASHES_ONLY)
    signed = sender.sign_transaction(
        {
            "type": 2,
            "chainId": CHAIN_ID,
            "nonce": int(rpc.call("eth_getTransactionCount", sender.address, "pending"), 16),
            "to": bytes.fromhex(address.removeprefix("0x")),
            "value": amount_wei,
            "gas": _TRANSFER_GAS,
            "maxPriorityFeePerGas": _PRIORITY_FEE_WEI,
            "maxFeePerGas": 2 * int(latest["baseFeePerGas"], 16) + _PRIORITY_FEE_WEI,
        }
    )
    return str(rpc.call("eth_sendRawTransaction", "0x" + bytes(signed.raw_transaction).hex()))
