"""Asymmetric and HMAC keys through real boto3, proven with `cryptography` on the other side."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_der_public_key

from services.key_manager.key_specs import ALGORITHMS, ALGORITHMS_MEMBER
from services.key_manager.kinds import KEY, KeySpec
from services.key_manager.material import SECRET_SIZES, BadMaterial, new_material, private_key, require_material
from services.sdk.testing import ServiceHarness, serving

MESSAGE = b"pay 100 to eve"
HASHES = {"SHA_256": hashes.SHA256(), "SHA_384": hashes.SHA384(), "SHA_512": hashes.SHA512()}
SIGNING = [
    (spec, algorithm)
    for spec, usages in ALGORITHMS.items()
    for algorithm in usages.get("SIGN_VERIFY", ())
    if spec != "RSA_4096"  # as RSA_3072, and made in a second instead of a quarter
]


@pytest.fixture(scope="module")
def house() -> Iterator[ServiceHarness]:
    with serving("key_manager", secrets={"root-key": bytes(range(32))}) as house:
        yield house


@pytest.fixture(scope="module")
def kms(house: ServiceHarness) -> Any:
    return house.boto3_client("kms")


@pytest.fixture(scope="module")
def made(kms: Any) -> dict[tuple[str, str], str]:
    """A key id for each spec and usage, made when it is asked for first."""

    class Made(dict[tuple[str, str], str]):
        def __missing__(self, wanted: tuple[str, str]) -> str:
            key = kms.create_key(KeySpec=wanted[0], KeyUsage=wanted[1])["KeyMetadata"]["KeyId"]
            return self.setdefault(wanted, key)

    return Made()


def refusal(call: Any, **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def check(public: Any, algorithm: str, signature: bytes) -> None:
    """Verify outside. Raises InvalidSignature."""
    if algorithm.startswith(("ED25519", "ML_DSA")):
        public.verify(signature, MESSAGE)
        return
    hashed = HASHES[algorithm[-7:]]
    if algorithm.startswith("ECDSA"):
        public.verify(signature, MESSAGE, ec.ECDSA(hashed))
    elif "PSS" in algorithm:
        public.verify(signature, MESSAGE, padding.PSS(padding.MGF1(hashed), hashed.digest_size), hashed)
    else:
        public.verify(signature, MESSAGE, padding.PKCS1v15(), hashed)


@pytest.mark.parametrize(("spec", "algorithm"), SIGNING)
def test_a_signature_is_good_for_everybody_who_has_the_public_key(
    kms: Any, made: dict[Any, str], spec: str, algorithm: str
) -> None:
    asked = {"KeyId": made[spec, "SIGN_VERIFY"], "SigningAlgorithm": algorithm}
    answer = kms.sign(Message=MESSAGE, **asked)
    public = load_der_public_key(kms.get_public_key(KeyId=asked["KeyId"])["PublicKey"])
    check(public, algorithm, answer["Signature"])
    assert kms.verify(Message=MESSAGE, Signature=answer["Signature"], **asked)["SignatureValid"] is True
    wrong = refusal(kms.verify, Message=MESSAGE + b"0", Signature=answer["Signature"], **asked)
    assert wrong == ("KMSInvalidSignatureException", "")
    with pytest.raises(InvalidSignature):
        check(public, algorithm, bytes(len(answer["Signature"])))


@pytest.mark.parametrize(("spec", "algorithm"), [each for each in SIGNING if each[1].startswith(("RSA", "ECDSA"))])
def test_a_digest_is_signed_as_its_message(kms: Any, made: dict[Any, str], spec: str, algorithm: str) -> None:
    asked = {"KeyId": made[spec, "SIGN_VERIFY"], "SigningAlgorithm": algorithm}
    digest = hashlib.new(algorithm[-7:].replace("_", ""), MESSAGE).digest()
    signature = kms.sign(Message=digest, MessageType="DIGEST", **asked)["Signature"]
    assert kms.verify(Message=MESSAGE, MessageType="RAW", Signature=signature, **asked)["SignatureValid"] is True
    short = refusal(kms.sign, Message=digest[:-1], MessageType="DIGEST", **asked)
    assert short == ("ValidationException", f"Digest is invalid length for algorithm {algorithm}.")


def test_ml_dsa_signs_a_message_representative_made_elsewhere(kms: Any, made: dict[Any, str]) -> None:
    asked = {"KeyId": made["ML_DSA_65", "SIGN_VERIFY"], "SigningAlgorithm": "ML_DSA_SHAKE_256"}
    public = load_der_public_key(kms.get_public_key(KeyId=asked["KeyId"])["PublicKey"])
    raw = public.public_bytes_raw()  # type: ignore[union-attr]
    mu = hashlib.shake_256(hashlib.shake_256(raw).digest(64) + b"\x00\x00" + MESSAGE).digest(64)
    signature = kms.sign(Message=mu, MessageType="EXTERNAL_MU", **asked)["Signature"]
    check(public, "ML_DSA_SHAKE_256", signature)
    assert kms.verify(Message=mu, MessageType="EXTERNAL_MU", Signature=signature, **asked)["SignatureValid"] is True


@pytest.mark.parametrize("algorithm", ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"])
def test_what_is_encrypted_with_the_public_key_is_decrypted_here(
    kms: Any, made: dict[Any, str], algorithm: str
) -> None:
    key = made["RSA_2048", "ENCRYPT_DECRYPT"]
    public = load_der_public_key(kms.get_public_key(KeyId=key)["PublicKey"])
    hashed = hashes.SHA1() if algorithm.endswith("_1") else hashes.SHA256()
    outside = public.encrypt(MESSAGE, padding.OAEP(padding.MGF1(hashed), hashed, None))  # type: ignore[union-attr]
    inside = kms.encrypt(KeyId=key, Plaintext=MESSAGE, EncryptionAlgorithm=algorithm)["CiphertextBlob"]
    for blob in (outside, inside):
        answer = kms.decrypt(KeyId=key, CiphertextBlob=blob, EncryptionAlgorithm=algorithm)
        assert (answer["Plaintext"], answer["EncryptionAlgorithm"]) == (MESSAGE, algorithm)
    damaged = bytes([outside[0] ^ 1]) + outside[1:]
    code, _ = refusal(kms.decrypt, KeyId=key, CiphertextBlob=damaged, EncryptionAlgorithm=algorithm)
    assert code == "InvalidCiphertextException"
    most = 214 if algorithm.endswith("_1") else 190
    kms.encrypt(KeyId=key, Plaintext=bytes(most), EncryptionAlgorithm=algorithm)
    too_long = refusal(kms.encrypt, KeyId=key, Plaintext=bytes(most + 1), EncryptionAlgorithm=algorithm)
    said = f"Algorithm {algorithm} and key spec RSA_2048 cannot encrypt data larger than {most} bytes."
    assert too_long == ("ValidationException", said)


def test_rsa_and_symmetric_ciphertexts_are_encrypted_again_for_each_other(kms: Any, made: dict[Any, str]) -> None:
    rsa, plain = made["RSA_2048", "ENCRYPT_DECRYPT"], made["SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"]
    oaep = "RSAES_OAEP_SHA_256"
    first = kms.encrypt(KeyId=plain, Plaintext=MESSAGE, EncryptionContext={"a": "b"})["CiphertextBlob"]
    second = kms.re_encrypt(
        CiphertextBlob=first,
        SourceEncryptionContext={"a": "b"},
        DestinationKeyId=rsa,
        DestinationEncryptionAlgorithm=oaep,
    )
    assert second["DestinationEncryptionAlgorithm"] == oaep
    third = kms.re_encrypt(
        CiphertextBlob=second["CiphertextBlob"],
        SourceKeyId=rsa,
        SourceEncryptionAlgorithm=oaep,
        DestinationKeyId=plain,
    )["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=third)["Plaintext"] == MESSAGE


@pytest.mark.parametrize(
    ("spec", "curve"),
    [("ECC_NIST_P256", ec.SECP256R1()), ("ECC_NIST_P384", ec.SECP384R1()), ("ECC_NIST_P521", ec.SECP521R1())],
)
def test_both_sides_derive_the_same_secret(
    kms: Any, made: dict[Any, str], spec: str, curve: ec.EllipticCurve
) -> None:
    key, mine = made[spec, "KEY_AGREEMENT"], ec.generate_private_key(curve)
    der = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    asked = {"KeyId": key, "KeyAgreementAlgorithm": "ECDH"}
    answer = kms.derive_shared_secret(PublicKey=mine.public_key().public_bytes(*der), **asked)
    public = load_der_public_key(kms.get_public_key(KeyId=key)["PublicKey"])
    assert answer["SharedSecret"] == mine.exchange(ec.ECDH(), public)  # type: ignore[arg-type]
    assert answer["KeyOrigin"] == "AWS_KMS"
    other = ec.generate_private_key(ec.SECP256K1()).public_key().public_bytes(*der)
    for wrong in (other, b"nonsense"):
        assert refusal(kms.derive_shared_secret, PublicKey=wrong, **asked) == ("ValidationException", "")


@pytest.mark.parametrize("spec", ["ML_KEM_768", "ML_KEM_1024"])
def test_a_secret_encapsulated_anywhere_is_decapsulated_here(kms: Any, made: dict[Any, str], spec: str) -> None:
    asked = {"KeyId": made[spec, "ENCAPSULATE_DECAPSULATE"], "EncapsulationAlgorithm": "ML_KEM"}
    public = load_der_public_key(kms.get_public_key(KeyId=asked["KeyId"])["PublicKey"])
    secret, sealed = public.encapsulate()  # type: ignore[union-attr]
    assert kms.decapsulate(SharedSecretCiphertextBlob=sealed, **asked)["SharedSecret"] == secret
    here = kms.encapsulate(**asked)
    again = kms.decapsulate(SharedSecretCiphertextBlob=here["SharedSecretCiphertextBlob"], **asked)
    assert again["SharedSecret"] == here["SharedSecret"]
    assert refusal(kms.decapsulate, SharedSecretCiphertextBlob=b"x", **asked)[0] == "InvalidCiphertextException"


@pytest.mark.parametrize("bits", ["224", "256", "384", "512"])
def test_a_mac_is_good_for_its_message_and_key_alone(kms: Any, bits: str) -> None:
    spec, algorithm = f"HMAC_{bits}", f"HMAC_SHA_{bits}"
    first, second = (
        kms.create_key(KeySpec=spec, KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]["KeyId"] for _ in range(2)
    )
    mac = kms.generate_mac(KeyId=first, Message=MESSAGE, MacAlgorithm=algorithm)["Mac"]
    assert len(mac) == int(bits) // 8
    asked = {"MacAlgorithm": algorithm, "Mac": mac}
    assert kms.verify_mac(KeyId=first, Message=MESSAGE, **asked)["MacValid"] is True
    for key, message in ((first, b"other"), (second, MESSAGE)):
        assert refusal(kms.verify_mac, KeyId=key, Message=message, **asked) == ("KMSInvalidMacException", "")
    wrong = "HMAC_SHA_512" if bits != "512" else "HMAC_SHA_256"
    code, said = refusal(kms.generate_mac, KeyId=first, Message=MESSAGE, MacAlgorithm=wrong)
    assert (code, said) == ("InvalidKeyUsageException", f"Algorithm {wrong} is incompatible with key spec {spec}.")


def test_a_mac_is_that_of_the_key_s_material() -> None:
    material = new_material("HMAC_384")
    assert len(material) == SECRET_SIZES["HMAC_384"] == 48
    assert hmac.digest(material, MESSAGE, "sha384") == hmac.new(material, MESSAGE, "sha384").digest()


@pytest.mark.parametrize("spec", ["RSA_2048", "ECC_NIST_P384", "ECC_SECG_P256K1", "ECC_NIST_EDWARDS25519"])
def test_a_data_key_pair_is_a_pair_and_its_private_half_comes_back(kms: Any, made: dict[Any, str], spec: str) -> None:
    key = made["SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"]
    asked = {"KeyId": key, "KeyPairSpec": spec, "EncryptionContext": {"a": "b"}}
    pair = kms.generate_data_key_pair(**asked)
    private = load_der_private_key(pair["PrivateKeyPlaintext"], None)
    der = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    assert private.public_key().public_bytes(*der) == pair["PublicKey"]
    opened = kms.decrypt(CiphertextBlob=pair["PrivateKeyCiphertextBlob"], EncryptionContext={"a": "b"})
    assert opened["Plaintext"] == pair["PrivateKeyPlaintext"]
    sealed = kms.generate_data_key_pair_without_plaintext(**asked)
    assert "PrivateKeyPlaintext" not in sealed and sealed["PublicKey"] != pair["PublicKey"]


def test_the_description_names_the_algorithms(kms: Any) -> None:
    for spec, usages in ALGORITHMS.items():
        for usage, algorithms in usages.items():
            if spec in ("RSA_3072", "RSA_4096"):
                continue
            meta = kms.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]
            assert meta[ALGORITHMS_MEMBER[usage]] == list(algorithms), spec
            assert (meta["KeySpec"], meta["KeyUsage"], meta["KeyState"]) == (spec, usage, "Enabled")
            others = {name for name in ALGORITHMS_MEMBER.values() if name in meta}
            assert others == {ALGORITHMS_MEMBER[usage]}


@pytest.mark.parametrize(
    ("asked", "code", "said"),
    [
        (
            {"KeySpec": "RSA_2048"},
            "ValidationException",
            "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.",
        ),
        (
            {"KeySpec": "RSA_2048", "KeyUsage": "KEY_AGREEMENT"},
            "ValidationException",
            "KeyUsage KEY_AGREEMENT is not compatible with KeySpec RSA_2048",
        ),
        (
            {"KeyUsage": "SIGN_VERIFY"},
            "ValidationException",
            "KeyUsage SIGN_VERIFY is not compatible with KeySpec SYMMETRIC_DEFAULT",
        ),
    ],
)
def test_specs_and_usages_that_do_not_fit_are_refused(kms: Any, asked: dict[str, str], code: str, said: str) -> None:
    assert refusal(kms.create_key, **asked) == (code, said)


def test_a_key_is_for_its_usage_alone(kms: Any, made: dict[Any, str]) -> None:
    sealing, signing = made["SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"], made["ECC_NIST_P256", "SIGN_VERIFY"]
    arn = kms.describe_key(KeyId=signing)["KeyMetadata"]["Arn"]
    code, said = refusal(kms.encrypt, KeyId=signing, Plaintext=b"x")
    assert (code, said) == (
        "InvalidKeyUsageException",
        f"{arn} key usage is SIGN_VERIFY which is not valid for Encrypt.",
    )
    asked = {"Message": b"x", "SigningAlgorithm": "ECDSA_SHA_256"}
    assert refusal(kms.sign, KeyId=sealing, **asked)[0] == "InvalidKeyUsageException"
    mac = {"Message": b"x", "MacAlgorithm": "HMAC_SHA_256"}
    assert refusal(kms.generate_mac, KeyId=sealing, **mac)[0] == "InvalidKeyUsageException"
    assert refusal(kms.generate_data_key, KeyId=signing, KeySpec="AES_256")[0] == "InvalidKeyUsageException"
    blob = kms.encrypt(KeyId=sealing, Plaintext=b"x")["CiphertextBlob"]
    assert refusal(kms.decrypt, CiphertextBlob=blob, KeyId=signing)[0] == "IncorrectKeyException"
    assert refusal(kms.get_public_key, KeyId=sealing)[0] == "InvalidKeyUsageException"
    assert refusal(kms.enable_key_rotation, KeyId=signing) == ("UnsupportedOperationException", "")


def test_a_disabled_key_signs_nothing(kms: Any) -> None:
    key = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    kms.disable_key(KeyId=key)
    assert refusal(kms.sign, KeyId=key, Message=b"x", SigningAlgorithm="ECDSA_SHA_256")[0] == "DisabledException"
    assert refusal(kms.get_public_key, KeyId=key)[0] == "DisabledException"


def test_a_rehearsal_says_that_it_would_have_succeeded(kms: Any, made: dict[Any, str]) -> None:
    key = made["ECC_NIST_P256", "SIGN_VERIFY"]
    code, _ = refusal(kms.sign, KeyId=key, Message=b"x", SigningAlgorithm="ECDSA_SHA_256", DryRun=True)
    assert code == "DryRunOperationException"


def test_a_key_made_by_kubectl_signs(house: ServiceHarness, kms: Any) -> None:
    spec = KeySpec(key_spec="ECC_NIST_P256", usage="SIGN_VERIFY")
    made = house.run(house.resources.create(KEY, KEY.new("signer", namespace="default", spec=spec)))
    signature = kms.sign(KeyId=made.metadata.uid, Message=MESSAGE, SigningAlgorithm="ECDSA_SHA_256")["Signature"]
    public = load_der_public_key(kms.get_public_key(KeyId=made.metadata.uid)["PublicKey"])
    check(public, "ECDSA_SHA_256", signature)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"keySpec": "ECC_NIST_P256"},
            "usage ENCRYPT_DECRYPT does not fit keySpec ECC_NIST_P256; it takes SIGN_VERIFY",
        ),
        ({"keySpec": "RSA_2048", "rotateEvery": 30}, "rotateEvery is for keySpec SYMMETRIC_DEFAULT alone"),
    ],
)
def test_a_spec_that_does_not_fit_together_says_what_would(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        KeySpec.model_validate(fields)


def test_material_of_another_spec_is_refused() -> None:
    curve, other = new_material("ECC_NIST_P256"), new_material("ECC_NIST_P384")
    assert private_key("ECC_NIST_P256", curve).curve.name == "secp256r1"
    for wrong in (other, b"nonsense", b""):
        with pytest.raises(BadMaterial):
            require_material("ECC_NIST_P256", wrong)
    assert require_material("HMAC_256", bytes(64)) == bytes(64)
    for spec, length in (("HMAC_256", 31), ("HMAC_256", 65), ("SYMMETRIC_DEFAULT", 33)):
        with pytest.raises(BadMaterial):
            require_material(spec, bytes(length))
