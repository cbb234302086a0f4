// Node's tls and nodemailer as a mail client: see mail_clients.py for the arguments.
const fs = require('fs');
const net = require('net');
const tls = require('tls');
const nodemailer = require('nodemailer');

const [protocol, how, host, port, user, password, authority, sender, recipient] = process.argv.slice(2);
const secrets = { host, servername: host, ca: fs.readFileSync(authority) };

function fail(error) {
  console.error(String(error));
  process.exit(1);
}

async function* lines(socket) {
  let left = '';
  for await (const chunk of socket) {
    const parts = (left + chunk.toString('latin1')).split('\r\n');
    left = parts.pop();
    yield* parts;
  }
}

function read(socket) {
  let said = lines(socket);
  const line = async () => (await said.next()).value || '';
  const ask = async (command) => {
    if (command) socket.write(command + '\r\n');
    const reply = await line();
    if (!reply.startsWith('+OK')) fail(reply);
  };
  return { ask, line };
}

async function secured(plain) {
  return new Promise((done) => {
    const socket = tls.connect({ ...secrets, socket: plain }, () => done(socket));
    socket.on('error', fail);
  });
}

// the greeting and the answer to STLS, before anybody else reads
function begin(plain) {
  return new Promise((done) => {
    let seen = '';
    plain.on('data', function listen(chunk) {
      seen += chunk;
      if (seen.split('\r\n').length === 2) plain.write('STLS\r\n');
      if (seen.split('\r\n').length === 3) {
        plain.removeListener('data', listen);
        if (!seen.split('\r\n')[1].startsWith('+OK')) fail(seen);
        done();
      }
    });
  });
}

async function pop3() {
  let socket = net.connect(port, host);
  socket.on('error', fail);
  if (how === 'starttls') await begin(socket);
  if (how !== 'plain') socket = await secured(socket);
  const { ask, line } = read(socket);
  if (how !== 'starttls') await ask('');
  await ask('USER ' + user);
  await ask('PASS ' + password);
  await ask('RETR 1');
  const message = [];
  for (let each = await line(); each !== '.'; each = await line()) message.push(each.replace(/^\./, '') + '\n');
  await ask('QUIT');
  await new Promise((done) => { process.stdout.write(message.join(''), 'latin1', done); });
}

async function smtp() {
  const transport = nodemailer.createTransport({
    host, port, name: 'laptop.test', secure: how === 'tls', requireTLS: true, auth: { user, pass: password }, tls: secrets,
  });
  await transport.sendMail({ envelope: { from: sender, to: recipient }, raw: fs.readFileSync(0) });
}

(protocol === 'pop3' ? pop3() : smtp()).then(() => process.exit(0), fail);
