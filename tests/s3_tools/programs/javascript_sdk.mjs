// The AWS SDK for JavaScript, version 3, with nothing but the environment: put, get, list, lib-storage, presigned.
import assert from "node:assert/strict"
import { randomBytes } from "node:crypto"
import * as s3 from "@aws-sdk/client-s3"
import { Upload } from "@aws-sdk/lib-storage"
import { createPresignedPost } from "@aws-sdk/s3-presigned-post"
import { getSignedUrl } from "@aws-sdk/s3-request-presigner"

const Bucket = "javascript-sdk"
const client = new s3.S3Client({ forcePathStyle: process.env.AWS_ENDPOINT_URL.includes("://localhost") })
const send = (command) => client.send(command)
const text = async (Key) => (await send(new s3.GetObjectCommand({ Bucket, Key }))).Body.transformToString()

await send(new s3.CreateBucketCommand({ Bucket }))
await send(new s3.PutObjectCommand({ Bucket, Key: "a b/ü+%.txt", Body: "hi", Metadata: { who: "ann" } }))
assert.equal(await text("a b/ü+%.txt"), "hi")
const head = await send(new s3.HeadObjectCommand({ Bucket, Key: "a b/ü+%.txt", ChecksumMode: "ENABLED" }))
assert.equal(head.Metadata.who, "ann")
assert.ok(head.ChecksumCRC32)

const body = randomBytes(17 * 1024 * 1024)
await new Upload({ client, params: { Bucket, Key: "large", Body: body }, partSize: 5 * 1024 * 1024 }).done()
const large = await send(new s3.GetObjectCommand({ Bucket, Key: "large" }))
assert.ok(Buffer.from(await large.Body.transformToByteArray()).equals(body))

for (let n = 0; n < 12; n++) await send(new s3.PutObjectCommand({ Bucket, Key: `list/${n}`, Body: `${n}` }))
const keys = []
for await (const page of s3.paginateListObjectsV2({ client, pageSize: 5 }, { Bucket, Prefix: "list/" })) {
  keys.push(...page.Contents.map((each) => each.Key))
}
assert.equal(keys.length, 12)

const named = { Bucket, Key: "presigned" }
const put = await fetch(await getSignedUrl(client, new s3.PutObjectCommand(named)), { method: "PUT", body: "put" })
assert.equal(put.status, 200, await put.text())
const got = await fetch(await getSignedUrl(client, new s3.GetObjectCommand(named), { expiresIn: 60 }))
assert.equal(await got.text(), "put")
const post = await createPresignedPost(client, { Bucket, Key: "posted", Conditions: [["content-length-range", 1, 10]] })
const form = new FormData()
for (const [name, value] of Object.entries(post.fields)) form.append(name, value)
form.append("file", new Blob(["posted"]))
assert.equal((await fetch(post.url, { method: "POST", body: form })).status, 204)
assert.equal(await text("posted"), "posted")

await assert.rejects(text("nothing"), { name: "NoSuchKey" })
const all = await send(new s3.ListObjectsV2Command({ Bucket }))
const gone = await send(new s3.DeleteObjectsCommand({ Bucket, Delete: { Objects: all.Contents.map(({ Key }) => ({ Key })) } }))
assert.equal(gone.Errors, undefined)
await send(new s3.DeleteBucketCommand({ Bucket }))
console.log("done")
