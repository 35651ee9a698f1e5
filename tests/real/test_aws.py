"""boto3 against moto's WSGI application: S3 in parts, SQS, many objects by many threads."""

from __future__ import annotations

import hashlib
import io
import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.site import ServeFixture, Site

pytestmark = pytest.mark.timeout(60)

THREADS, OBJECTS = 16, 200
PART = 5 << 20  # the least that S3 takes


@pytest.fixture
def site(serve: ServeFixture) -> Site:
    return serve(DomainDispatcherApplication(create_backend_app), threads=THREADS)


@pytest.fixture
def client(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """Clients of one service each, who know this site alone."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    session = boto3.Session("made-up", "made-up", region_name="us-east-1")
    settings = Config(
        max_pool_connections=THREADS,
        proxies={},
        retries={"total_max_attempts": 1},
        s3={"addressing_style": "path"},
    )
    made: list[Any] = []

    def make(service: str) -> Any:
        made.append(session.client(service, endpoint_url=site.url, config=settings))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_s3_takes_a_file_in_parts(client: Callable[[str], Any]) -> None:
    s3 = client("s3")
    s3.create_bucket(Bucket="parts")
    content = random.Random(1).randbytes(3 * PART + 12345)
    settings = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART)
    s3.upload_fileobj(io.BytesIO(content), "parts", "file", Config=settings)
    head = s3.head_object(Bucket="parts", Key="file")
    assert head["ContentLength"] == len(content)
    assert head["ETag"].endswith('-4"'), "it came in four parts"
    received = io.BytesIO()
    s3.download_fileobj("parts", "file", received, Config=settings)
    assert received.getvalue() == content
    with closing(s3.get_object(Bucket="parts", Key="file", Range="bytes=100-199")["Body"]) as body:
        assert body.read() == content[100:200]


def test_s3_takes_many_objects_from_many_threads(client: Callable[[str], Any]) -> None:
    s3 = client("s3")
    s3.create_bucket(Bucket="many")

    def exchange(number: int) -> bool:
        key, content = f"{number:03}", b"%d " % number * 1000
        stored = s3.put_object(Bucket="many", Key=key, Body=content)
        with closing(s3.get_object(Bucket="many", Key=key)["Body"]) as body:
            fetched = body.read()
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        return bool(fetched == content and stored["ETag"] == f'"{md5}"')

    with ThreadPoolExecutor(THREADS) as pool:
        assert all(pool.map(exchange, range(OBJECTS)))
    listed = s3.list_objects_v2(Bucket="many")["Contents"]
    assert [each["Key"] for each in listed] == [f"{number:03}" for number in range(OBJECTS)]


def test_sqs_delivers_what_is_sent(client: Callable[[str], Any]) -> None:
    sqs = client("sqs")
    queue = sqs.create_queue(QueueName="letters")["QueueUrl"]
    for first in range(0, 20, 10):
        entries = [
            {"Id": str(number), "MessageBody": f"letter {number} \u2709"}
            for number in range(first, first + 10)
        ]
        assert len(sqs.send_message_batch(QueueUrl=queue, Entries=entries)["Successful"]) == 10
    received: set[str] = set()
    while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            received.add(message["Body"])
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    assert received == {f"letter {number} \u2709" for number in range(20)}
