import datetime

from bailee.custody.v1 import account_pb2 as _account_pb2
from bailee.custody.v1 import cause_pb2 as _cause_pb2
from bailee.custody.v1 import collateral_report_pb2 as _collateral_report_pb2
from bailee.custody.v1 import deposit_pb2 as _deposit_pb2
from bailee.custody.v1 import destination_pb2 as _destination_pb2
from bailee.custody.v1 import lien_pb2 as _lien_pb2
from bailee.custody.v1 import posting_pb2 as _posting_pb2
from bailee.custody.v1 import price_pb2 as _price_pb2
from bailee.custody.v1 import withdrawal_pb2 as _withdrawal_pb2
from bailee.buf.validate import validate_pb2 as _validate_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.api import resource_pb2 as _resource_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetAccountRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListAccountsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListAccountsResponse(_message.Message):
    __slots__ = ("accounts", "next_page_token")
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    accounts: _containers.RepeatedCompositeFieldContainer[_account_pb2.Account]
    next_page_token: str
    def __init__(self, accounts: _Optional[_Iterable[_Union[_account_pb2.Account, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetDestinationRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListDestinationsRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListDestinationsResponse(_message.Message):
    __slots__ = ("destinations", "next_page_token")
    DESTINATIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    destinations: _containers.RepeatedCompositeFieldContainer[_destination_pb2.Destination]
    next_page_token: str
    def __init__(self, destinations: _Optional[_Iterable[_Union[_destination_pb2.Destination, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListDepositsRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListDepositsResponse(_message.Message):
    __slots__ = ("deposits", "next_page_token")
    DEPOSITS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    deposits: _containers.RepeatedCompositeFieldContainer[_deposit_pb2.Deposit]
    next_page_token: str
    def __init__(self, deposits: _Optional[_Iterable[_Union[_deposit_pb2.Deposit, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetLienRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListLiensRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListLiensResponse(_message.Message):
    __slots__ = ("liens", "next_page_token")
    LIENS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    liens: _containers.RepeatedCompositeFieldContainer[_lien_pb2.Lien]
    next_page_token: str
    def __init__(self, liens: _Optional[_Iterable[_Union[_lien_pb2.Lien, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetWithdrawalRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListWithdrawalsRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListWithdrawalsResponse(_message.Message):
    __slots__ = ("withdrawals", "next_page_token")
    WITHDRAWALS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    withdrawals: _containers.RepeatedCompositeFieldContainer[_withdrawal_pb2.Withdrawal]
    next_page_token: str
    def __init__(self, withdrawals: _Optional[_Iterable[_Union[_withdrawal_pb2.Withdrawal, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListPostingsRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListPostingsResponse(_message.Message):
    __slots__ = ("postings", "next_page_token")
    POSTINGS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    postings: _containers.RepeatedCompositeFieldContainer[_posting_pb2.Posting]
    next_page_token: str
    def __init__(self, postings: _Optional[_Iterable[_Union[_posting_pb2.Posting, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListPricesRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListPricesResponse(_message.Message):
    __slots__ = ("prices", "next_page_token")
    PRICES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    prices: _containers.RepeatedCompositeFieldContainer[_price_pb2.Price]
    next_page_token: str
    def __init__(self, prices: _Optional[_Iterable[_Union[_price_pb2.Price, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetCollateralReportRequest(_message.Message):
    __slots__ = ("name", "min_account_sequence")
    NAME_FIELD_NUMBER: _ClassVar[int]
    MIN_ACCOUNT_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    name: str
    min_account_sequence: int
    def __init__(self, name: _Optional[str] = ..., min_account_sequence: _Optional[int] = ...) -> None: ...

class WatchCollateralRequest(_message.Message):
    __slots__ = ("accounts",)
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    accounts: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, accounts: _Optional[_Iterable[str]] = ...) -> None: ...

class WatchCollateralResponse(_message.Message):
    __slots__ = ("snapshot", "change", "heartbeat", "position", "account_sequence")
    class Snapshot(_message.Message):
        __slots__ = ("account", "report")
        ACCOUNT_FIELD_NUMBER: _ClassVar[int]
        REPORT_FIELD_NUMBER: _ClassVar[int]
        account: _account_pb2.Account
        report: _collateral_report_pb2.CollateralReport
        def __init__(self, account: _Optional[_Union[_account_pb2.Account, _Mapping]] = ..., report: _Optional[_Union[_collateral_report_pb2.CollateralReport, _Mapping]] = ...) -> None: ...
    class Retraction(_message.Message):
        __slots__ = ("first_account_sequence", "last_account_sequence")
        FIRST_ACCOUNT_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
        LAST_ACCOUNT_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
        first_account_sequence: int
        last_account_sequence: int
        def __init__(self, first_account_sequence: _Optional[int] = ..., last_account_sequence: _Optional[int] = ...) -> None: ...
    class Change(_message.Message):
        __slots__ = ("account", "cause", "resource", "report", "commit_time", "skipped", "retraction")
        ACCOUNT_FIELD_NUMBER: _ClassVar[int]
        CAUSE_FIELD_NUMBER: _ClassVar[int]
        RESOURCE_FIELD_NUMBER: _ClassVar[int]
        REPORT_FIELD_NUMBER: _ClassVar[int]
        COMMIT_TIME_FIELD_NUMBER: _ClassVar[int]
        SKIPPED_FIELD_NUMBER: _ClassVar[int]
        RETRACTION_FIELD_NUMBER: _ClassVar[int]
        account: str
        cause: _cause_pb2.Cause
        resource: str
        report: _collateral_report_pb2.CollateralReport
        commit_time: _timestamp_pb2.Timestamp
        skipped: int
        retraction: WatchCollateralResponse.Retraction
        def __init__(self, account: _Optional[str] = ..., cause: _Optional[_Union[_cause_pb2.Cause, str]] = ..., resource: _Optional[str] = ..., report: _Optional[_Union[_collateral_report_pb2.CollateralReport, _Mapping]] = ..., commit_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., skipped: _Optional[int] = ..., retraction: _Optional[_Union[WatchCollateralResponse.Retraction, _Mapping]] = ...) -> None: ...
    class Heartbeat(_message.Message):
        __slots__ = ("server_time",)
        SERVER_TIME_FIELD_NUMBER: _ClassVar[int]
        server_time: _timestamp_pb2.Timestamp
        def __init__(self, server_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    snapshot: WatchCollateralResponse.Snapshot
    change: WatchCollateralResponse.Change
    heartbeat: WatchCollateralResponse.Heartbeat
    position: str
    account_sequence: int
    def __init__(self, snapshot: _Optional[_Union[WatchCollateralResponse.Snapshot, _Mapping]] = ..., change: _Optional[_Union[WatchCollateralResponse.Change, _Mapping]] = ..., heartbeat: _Optional[_Union[WatchCollateralResponse.Heartbeat, _Mapping]] = ..., position: _Optional[str] = ..., account_sequence: _Optional[int] = ...) -> None: ...
