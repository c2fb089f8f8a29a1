#!/usr/bin/env python3
"""An adapter in 60 lines: lines "PHONE TEXT" on standard input are pushed, what Omnigate sends is printed and reported read.

Needs grpcio and grpcio-tools. Configure an account with `adapter = "grpc://HOST:PORT"` and a token, then:
adapter.py --proto proto --ingest 127.0.0.1:7401 --listen 127.0.0.1:7500 --account kiosk --token TOKEN
"""
import argparse, glob, hashlib, sys, tempfile
from concurrent import futures

import grpc
from grpc_tools import protoc

arguments = argparse.ArgumentParser(description=__doc__)
for name in ("proto", "ingest", "listen", "account", "token"):
    arguments.add_argument("--" + name, required=True)
given = arguments.parse_args()

# The contract alone: everything else in this file is gRPC.
generated = tempfile.mkdtemp()
wanted = [path[len(given.proto) + 1:] for path in glob.glob(given.proto + "/omnigate/v1/*.proto")]
include = ["-I" + given.proto, "-I" + protoc.__file__.rsplit("/", 1)[0] + "/_proto"]
if protoc.main(["protoc", *include, "--python_out=" + generated, "--grpc_python_out=" + generated, *wanted]):
    sys.exit("the contract does not compile")
sys.path.insert(0, generated)
from omnigate.v1 import adapter_pb2, adapter_pb2_grpc, event_pb2, identity_pb2, ingest_pb2, ingest_pb2_grpc

ingest = ingest_pb2_grpc.IngestServiceStub(grpc.insecure_channel(given.ingest))
token = (("authorization", "Bearer " + given.token),)


def push(phone, provider_message_id, **kind):
    peer = identity_pb2.Identifier(type="phone", value=phone)
    known = identity_pb2.IdentifierEvidence(identifier=peer, evidence=identity_pb2.EVIDENCE_VOUCHED)
    event = event_pb2.Event(account_id=given.account, peer=peer, identifiers=[known],
                            provider_message_id=provider_message_id, **kind)
    answer = ingest.Push(ingest_pb2.PushRequest(events=[event]), metadata=token, timeout=10)
    print("pushed", ingest_pb2.PushStatus.Name(answer.results[0].status), answer.results[0].problem, flush=True)


class Adapter(adapter_pb2_grpc.AdapterServiceServicer):
    def Send(self, request, context):
        if ("authorization", "Bearer " + given.token) not in context.invocation_metadata():
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "not our gateway")
        text = " ".join(part.text.text for part in request.message.parts)
        print("sent", request.peer.value, text, flush=True)
        receipt = event_pb2.Receipt(client_reference=request.send_key, state=event_pb2.RECEIPT_STATE_READ)
        reporter.submit(push, request.peer.value, request.send_key, receipt=receipt)
        accepted = adapter_pb2.SendAccepted(provider_message_id=request.send_key)
        return adapter_pb2.SendResponse(piece_count=1, accepted=accepted)

    def GetCapabilities(self, request, context):
        return adapter_pb2.GetCapabilitiesResponse(capabilities=adapter_pb2.Capabilities(channel="kiosk"))


reporter = futures.ThreadPoolExecutor(max_workers=1)
server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
adapter_pb2_grpc.add_AdapterServiceServicer_to_server(Adapter(), server)
print("listening", server.add_insecure_port(given.listen), flush=True)
server.start()
for line in sys.stdin:
    phone, text = line.rstrip("\n").split(" ", 1)
    part = {"text": {"text": text}}
    push(phone, hashlib.sha256(line.encode()).hexdigest()[:16], message={"parts": [part]})
server.wait_for_termination()
