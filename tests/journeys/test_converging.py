"""What people want is applied, scaled, switched off and deleted; the conditions say what is going on."""

from __future__ import annotations

from clouds import REPOSITORY, Cloud, eventually

KINDS = ("namespaces", "keys", "keyaliases", "buckets", "services")


def test_applying_twice_changes_nothing_the_second_time(cloud: Cloud) -> None:
    first = cloud.do("apply", "-f", "examples/")
    examples = len(list((REPOSITORY / "examples").glob("*.yaml")))
    assert first.count(" created") == len(first.splitlines()) == examples
    last = [revisions(cloud)]
    eventually(lambda: settled(cloud, last), "statuses are written")
    second = cloud.do("apply", "-f", "examples/")
    assert second.count(" unchanged") == examples
    assert revisions(cloud) == last[0]


def revisions(cloud: Cloud) -> dict[str, str]:
    """Of every resource of the example kinds."""
    found = [each for kind in KINDS for each in cloud.get(kind)["items"]]
    return {f"{each['kind']}/{each['metadata']['name']}": each["metadata"]["resourceVersion"] for each in found}


def settled(cloud: Cloud, last: list[dict[str, str]]) -> bool:
    """No controller writes any more: two looks in a row are the same."""
    before, last[0] = last[0], revisions(cloud)
    return before == last[0]


def test_an_applied_key_works_in_aws_kms(cloud: Cloud) -> None:
    cloud.do("apply", "-f", "examples/")
    eventually(
        lambda: cloud.aws("kms", "describe-key", "--key-id", "alias/example/main").code == 0, "the alias is known"
    )
    made = cloud.kms("generate-data-key", "--key-id", "alias/example/main", "--key-spec", "AES_256")
    assert {"Plaintext", "CiphertextBlob", "KeyId"} <= made.keys()


def test_scaling_up_and_down_converges(cloud: Cloud) -> None:
    cloud.do("scale", "key-manager", "--replicas", "2")
    eventually(lambda: ready_of(cloud) == "2/2", "two are ready")
    assert cloud.is_ready("key-manager")
    cloud.do("scale", "key-manager", "--replicas", "1")
    eventually(lambda: ready_of(cloud) == "1/1" and list(cloud.instances()).count("key-manager-1") == 0, "one")


def ready_of(cloud: Cloud) -> str:
    return str(cloud.get("services", "key-manager")["status"].get("ready"))


def test_disabled_it_stops_and_says_so_enabled_it_is_back(cloud: Cloud) -> None:
    cloud.do("apply", "-f", "-", text=managed("key-manager", enabled=False))
    eventually(lambda: "key-manager-0" not in cloud.instances(), "the process is gone")
    eventually(lambda: cloud.condition("key-manager", "Ready").get("reason") == "Disabled", "it says Disabled")
    refused = cloud.aws("kms", "list-keys", AWS_MAX_ATTEMPTS="1")
    assert refused.code != 0 and "key-manager" in refused.err
    cloud.do("apply", "-f", "-", text=managed("key-manager"))
    eventually(lambda: cloud.is_ready("key-manager"), "it is Ready again")
    assert cloud.aws("kms", "list-keys").code == 0


def test_deleted_it_goes_made_again_it_finds_its_data(cloud: Cloud) -> None:
    cloud.kms("create-key")
    keys = len(cloud.kms("list-keys")["Keys"])
    refused = cloud.command("delete", "service", "key-manager")
    assert refused.code != 0 and "needed by secrets-manager, storage-manager" in refused.err
    cloud.do("delete", "service", "storage-manager", "secrets-manager")
    cloud.do("delete", "service", "key-manager")
    assert cloud.command("get", "service", "key-manager").code != 0
    assert "key-manager-0" not in cloud.instances()
    for name in ("key-manager", "storage-manager"):
        cloud.do("apply", "-f", "-", text=managed(name))
    cloud.do("apply", "-f", "-", text=managed("secrets-manager", activation="onDemand"))
    eventually(lambda: cloud.is_ready("key-manager"), "it is Ready again")
    assert len(cloud.kms("list-keys")["Keys"]) == keys


def test_what_is_needed_and_missing_is_named(cloud: Cloud) -> None:
    both = ("key-manager", "storage-manager")
    for name in both:
        cloud.do("apply", "-f", "-", text=managed(name, enabled=False))
        eventually(lambda name=name: f"{name}-0" not in cloud.instances(), "it stops")
    cloud.do("apply", "-f", "-", text=managed("storage-manager"))
    eventually(lambda: reason(cloud, "storage-manager") == "WaitingForDependencies", "it waits")
    said = cloud.condition("storage-manager", "Ready")["message"]
    assert said == "waiting for key-manager to be enabled"
    assert "storage-manager-0" not in cloud.instances()
    cloud.do("apply", "-f", "-", text=managed("key-manager"))
    for name in both:
        eventually(lambda name=name: cloud.is_ready(name), f"{name} is Ready")


def test_a_container_is_refused_with_the_fix_where_there_is_no_container_runtime(cloud: Cloud) -> None:
    cloud.do("apply", "-f", "-", text=service("web", "image: nginx", "command: [nginx]"))
    eventually(lambda: reason(cloud, "web") == "NeedsContainerRuntime", "it says why")
    assert "--runtime swarm" in cloud.condition("web", "Ready")["message"]
    assert "web-0" not in cloud.instances()
    cloud.do("delete", "service", "web")


def reason(cloud: Cloud, name: str) -> str:
    return str(cloud.condition(name, "Ready").get("reason"))


def test_an_unknown_managed_service_names_the_known_ones(cloud: Cloud) -> None:
    cloud.do("apply", "-f", "-", text=service("mystery", "managed: crystal_ball"))
    eventually(lambda: "crystal_ball" in cloud.condition("mystery", "Ready").get("message", ""), "it says why")
    assert "key_manager" in cloud.condition("mystery", "Ready")["message"]
    cloud.do("delete", "service", "mystery")


def managed(name: str, *, enabled: bool = True, activation: str = "always") -> str:
    spec = {"managed": name.replace("-", "_"), "enabled": str(enabled).lower(), "activation": activation}
    return service(name, *(f"{field}: {value}" for field, value in spec.items()))


def service(name: str, *spec: str) -> str:
    lines = ["apiVersion: aerekos.cloud/v1", "kind: Service", f"metadata: {{name: {name}}}", "spec:"]
    return "\n".join([*lines, *(f"  {each}" for each in spec), ""])
