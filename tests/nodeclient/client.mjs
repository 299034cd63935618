// A client that is not Go: it knows the .proto files, the pinned certificate of
// the server and an office's signing key, and nothing else of this project.
//
//   node client.mjs CONFIG.json DOCUMENT
//
// It deposits the document (the custodian draws the record key), signs and
// submits the transaction that anchors it, and prints {commitment, index,
// receipt} as JSON.
import crypto from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import grpc from '@grpc/grpc-js'
import loader from '@grpc/proto-loader'
import protobuf from 'protobufjs'

const [configFile, documentFile] = process.argv.slice(2)
const config = JSON.parse(fs.readFileSync(configFile, 'utf8'))
const document = fs.readFileSync(documentFile)
const protos = path.resolve(config.protos)

const api = grpc.loadPackageDefinition(loader.loadSync('muniment/api/v1/api.proto', {
  includeDirs: [protos], keepCase: true, longs: String, bytes: Buffer
})).muniment.api.v1

// The server's certificate is the only root, and its name is the one in the
// network file: whoever else answers is refused.
const credentials = grpc.credentials.createSsl(
  Buffer.from(config.server_certificate), Buffer.from(config.account_key), Buffer.from(config.account_certificate))
const departments = new api.Departments(config.address, credentials, {
  'grpc.ssl_target_name_override': config.server_name,
  'grpc.default_authority': config.server_name
})
const deadline = () => ({ deadline: Date.now() + 30_000 })

const sha256 = (...parts) => parts.reduce((h, p) => h.update(p), crypto.createHash('sha256')).digest()

// Ledger day: UTC civil day of now minus twelve hours.
const ledgerDay = Math.floor((Date.now() - 12 * 3600e3) / 86400e3)
const notAfter = ledgerDay + 5

function deposit () {
  return new Promise((resolve, reject) => {
    const call = departments.Deposit(deadline(), (err, resp) => err ? reject(err) : resolve(resp))
    call.write({ header: {
      series: config.series, custody: config.custody, not_after_day: notAfter, profile: 'text/1',
      fields: [{ key: 'media-type', value: 'text/plain' }, { key: 'file-name', value: path.basename(documentFile) }],
      size: String(document.length)
    } })
    for (let at = 0; at < document.length; at += 256 * 1024) {
      call.write({ chunk: document.subarray(at, at + 256 * 1024) })
    }
    call.end()
  })
}

// transaction writes the one canonical encoding: ascending fields, no defaults.
async function transaction (commitment) {
  const root = await protobuf.load(path.join(protos, 'muniment/ledger/v1/ledger.proto'))
  const TxBody = root.lookupType('muniment.ledger.v1.TxBody')
  const SignedTx = root.lookupType('muniment.ledger.v1.SignedTx')
  const body = TxBody.encode(TxBody.create({
    network: Buffer.from(config.network, 'hex'),
    nonce: crypto.randomBytes(16),
    notAfterDay: notAfter,
    anchorRecords: { series: config.series, custody: config.custody, items: [{ commitment, day: config.day }] }
  })).finish()
  const key = crypto.createPrivateKey(config.signing_key)
  const raw = crypto.createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32)
  return SignedTx.encode(SignedTx.create({
    body,
    keyId: sha256('muniment/v1/key\n', raw),
    signature: crypto.sign(null, Buffer.concat([Buffer.from('muniment/v1/tx\n'), sha256(body)]), key)
  })).finish()
}

const unary = (method, request) => new Promise((resolve, reject) =>
  departments[method](request, deadline(), (err, resp) => err ? reject(err) : resolve(resp)))

const { commitment } = await deposit()
const submitted = await unary('Submit', { transaction: await transaction(commitment) })
if (submitted.reason !== 'OK') throw new Error(`refused: ${submitted.reason}`)
const { receipt, grade } = await unary('Receipt', { index: submitted.first_index })
process.stdout.write(JSON.stringify({
  commitment: commitment.toString('hex'), index: Number(submitted.first_index), grade, receipt: receipt.toString('utf8')
}) + '\n')
departments.close()
