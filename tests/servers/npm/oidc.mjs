// oidc.mjs DIR CERTIFICATE KEY: oidc-provider over TLS on a free port of loopback, with a SMART discovery document and
// a small FHIR server beside it. Writes DIR/exports when it is ready, and DIR/log, one JSON object per request.
import { appendFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import https from 'node:https';
import { Provider, errors } from 'oidc-provider';

const [dir, certificate, key] = process.argv.slice(2);
const settings = {
  lifetime: Number(process.env.OIDC_LIFETIME_S || 300),
  initialToken: process.env.OIDC_INITIAL_TOKEN || undefined,
};
setTimeout(() => process.exit(0), 1000 * Number(process.env.SERVERS_LIFETIME_S || 900));

// ---- The log: names of parameters and headers, values only of what is no secret ----

const shownHeaders = ['host', 'accept', 'content-type', 'content-length', 'user-agent', 'prefer', 'expect'];
const shownParameters = ['grant_type', 'scope', 'client_assertion_type', 'client_id'];
let count = 0;

function log(entry) {
  appendFileSync(`${dir}/log`, `${JSON.stringify({ n: ++count, at: Date.now() / 1000, ...entry })}\n`);
}

function pick(object, names) {
  return Object.fromEntries(names.filter((name) => object[name] !== undefined).map((name) => [name, object[name]]));
}

function authorizationOf(value) { // its scheme, and a digest to tell two apart
  if (value === undefined) return undefined;
  const [scheme, ...rest] = value.split(' ');
  return { scheme, digest: createHash('sha256').update(rest.join(' ')).digest('hex').slice(0, 12) };
}

function assertionOf(jwt) { // without its signature, so that it is of no use to anybody
  try {
    const [header, claims] = jwt.split('.').slice(0, 2).map((part) => JSON.parse(Buffer.from(part, 'base64url')));
    return { header, claims };
  } catch {
    return undefined;
  }
}

const endpoints = [
  [/^\/fhir\/\.well-known\/smart-configuration$/, 'discovery'],
  [/^\/fhir(\/|$)/, 'fhir'],
  [/^\/token$/, 'token'],
  [/^\/reg$/, 'register'],
  [/^\/reg\//, 'manage'],
  [/^\/control\//, 'control'],
];

// The entry has the parameters that the provider read, so it is written when the answer is made, before it is sent.
function logRequest(ctx, error) {
  const body = ctx.oidc?.body ?? {};
  log({
    endpoint: endpoints.find(([pattern]) => pattern.test(ctx.path))?.[1] ?? 'other',
    method: ctx.method,
    path: ctx.path,
    query_names: Object.keys(ctx.query),
    header_names: Object.keys(ctx.headers),
    headers: pick(ctx.headers, shownHeaders),
    authorization: authorizationOf(ctx.headers.authorization),
    body_names: Object.keys(body),
    body: pick(body, shownParameters),
    assertion: assertionOf(body.client_assertion),
    status: ctx.status,
    error: error?.message,
    error_description: error?.error_description,
    error_detail: error?.error_detail,
  });
}

// ---- Scopes: those of SMART, version 1 and 2, for some resource types ----

const types = ['*', 'AllergyIntolerance', 'Condition', 'Encounter', 'Group', 'Immunization', 'MedicationRequest',
  'Observation', 'Organization', 'Patient', 'Practitioner', 'Procedure'];
const permissions = ['read', 'write', '*'];
for (let bits = 1; bits < 32; bits++) permissions.push([...'cruds'].filter((_, i) => bits & (16 >> i)).join(''));
const scopes = types.flatMap((type) => permissions.map((permission) => `system/${type}.${permission}`));

function allows(scope, type, letter) {
  return (scope ?? '').split(' ').some((one) => {
    const [, oneType, permission] = /^system\/([^.]+)\.(.+)$/.exec(one) ?? [];
    return [type, '*'].includes(oneType) && (['read', '*'].includes(permission) || /^c?r?u?d?s?$/.test(permission)
      && permission.includes(letter));
  });
}

// ---- The provider ----

const server = https.createServer({ cert: readFileSync(certificate), key: readFileSync(key), minVersion: 'TLSv1.2' });
await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
const issuer = `https://localhost:${server.address().port}`;
const tokenUrl = `${issuer}/token`;
const algs = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512'];

const provider = new Provider(issuer, {
  scopes,
  responseTypes: ['code'],
  clientDefaults: { grant_types: ['client_credentials'], response_types: [], redirect_uris: [] },
  clientAuthMethods: ['private_key_jwt', 'client_secret_basic', 'client_secret_post'],
  enabledJWA: { clientAuthSigningAlgValues: algs },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    registration: { enabled: true, initialAccessToken: settings.initialToken ?? false },
    registrationManagement: { enabled: true },
  },
  ttl: { ClientCredentials: () => settings.lifetime },
  // What SMART asks beyond RFC 7523; the provider has checked the signature, iss, exp and aud by its own rules.
  assertJwtClientAuthClaimsAndHeader(ctx, claims, header) {
    const refuse = (why) => { throw new errors.InvalidClientAuth(why); };
    if (header.typ !== 'JWT') refuse('typ must be JWT');
    if (typeof header.kid !== 'string' || !header.kid) refuse('kid is missing');
    if (claims.sub !== claims.iss) refuse('iss and sub must be the same');
    if (claims.aud !== tokenUrl) refuse('aud must be the URL of the token endpoint');
    if (claims.exp > Date.now() / 1000 + 300) refuse('exp is more than five minutes ahead');
  },
  // The provider's own dispatcher refuses loopback, where the JWKS of the tests are.
  async fetch(url, { dispatcher, ...options }) {
    try {
      const response = await globalThis.fetch(url, options);
      log({ endpoint: 'jwks-fetch', url, status: response.status });
      return response;
    } catch (error) {
      log({ endpoint: 'jwks-fetch', url, error: String(error.cause ?? error) });
      throw error;
    }
  },
});

const failures = new WeakMap();
for (const event of ['server_error', 'grant.error', 'registration_create.error', 'registration_read.error',
  'registration_update.error', 'registration_delete.error']) {
  provider.on(event, (ctx, error) => { failures.set(ctx, error); });
}
const clients = new Set();
const issued = new Set();
provider.on('grant.success', (ctx) => { clients.add(ctx.oidc.client); });
provider.on('client_credentials.saved', (token) => { issued.add(token); });

// ---- For tests only: what else would need time to pass, or an administrator ----

const control = {
  // The JWKS of every client counts as stale, as if its Cache-Control had run out.
  'expire-jwks': () => clients.forEach((client) => { client.asymmetricKeyStore.freshUntil = 0; }),
  revoke: () => Promise.all([...issued].map((token) => token.destroy())).then(() => issued.clear()),
  lifetime: (query) => { settings.lifetime = Number(query.seconds); },
};

// ---- Discovery and FHIR ----

const patients = Array.from({ length: 7 }, (_, i) => ({
  resourceType: 'Patient', id: `p${i + 1}`, name: [{ family: 'Example', given: [`Number${i + 1}`] }],
}));

function outcome(ctx, status, code, text) {
  ctx.status = status;
  ctx.body = { resourceType: 'OperationOutcome', issue: [{ severity: 'error', code, diagnostics: text }] };
  if (status === 401) ctx.set('WWW-Authenticate', 'Bearer error="invalid_token"');
}

function discovery(ctx) {
  ctx.set('Cache-Control', 'max-age=300');
  ctx.body = {
    issuer,
    jwks_uri: `${issuer}/jwks`,
    token_endpoint: tokenUrl,
    registration_endpoint: `${issuer}/reg`,
    grant_types_supported: ['client_credentials'],
    token_endpoint_auth_methods_supported: ['private_key_jwt', 'client_secret_basic', 'client_secret_post'],
    token_endpoint_auth_signing_alg_values_supported: algs,
    scopes_supported: ['system/*.rs', 'system/Patient.rs', 'system/Observation.rs'],
    capabilities: ['client-confidential-asymmetric', 'client-confidential-symmetric', 'permission-v1', 'permission-v2'],
    code_challenge_methods_supported: ['S256'],
  };
}

function search(ctx) {
  const size = Number(ctx.query._count ?? 3);
  const offset = Number(ctx.query._offset ?? 0);
  const links = [{ relation: 'self', url: `${issuer}${ctx.url}` }];
  if (offset + size < patients.length) {
    links.push({ relation: 'next', url: `${issuer}/fhir/Patient?_count=${size}&_offset=${offset + size}` });
  }
  ctx.body = {
    resourceType: 'Bundle',
    type: 'searchset',
    total: patients.length,
    link: links,
    entry: patients.slice(offset, offset + size).map((resource) => ({
      fullUrl: `${issuer}/fhir/Patient/${resource.id}`, resource,
    })),
  };
}

async function fhir(ctx) {
  const [, , type, id] = ctx.path.split('/');
  ctx.body = {};
  ctx.type = 'application/fhir+json';
  if (type === 'metadata') {
    ctx.body = { resourceType: 'CapabilityStatement', status: 'active', kind: 'instance', fhirVersion: '4.0.1' };
    return;
  }
  const [, value] = /^Bearer ([^ ]+)$/.exec(ctx.headers.authorization ?? '') ?? [];
  const token = value && await provider.ClientCredentials.find(value);
  if (!value) outcome(ctx, 401, 'login', 'an access token is needed');
  else if (!token || !token.isValid) outcome(ctx, 401, 'expired', 'the access token is unknown or has expired');
  else if (!allows(token.scope, type, id ? 'r' : 's')) outcome(ctx, 403, 'forbidden', `the scope has no ${type}`);
  else if (type !== 'Patient') outcome(ctx, 404, 'not-supported', `there is no ${type} here`);
  else if (id === undefined) search(ctx);
  else {
    const found = patients.find((patient) => patient.id === id);
    if (found) ctx.body = found;
    else outcome(ctx, 404, 'not-found', `Patient/${id} is not known`);
  }
  ctx.type = 'application/fhir+json';
}

provider.use(async (ctx, next) => {
  const action = control[/^\/control\/(.*)$/.exec(ctx.path)?.[1]];
  if (ctx.path === '/fhir/.well-known/smart-configuration') discovery(ctx);
  else if (/^\/fhir(\/|$)/.test(ctx.path)) await fhir(ctx);
  else if (action && ctx.method === 'POST') ctx.body = { done: Boolean(await action(ctx.query)) || true };
  else await next();
  logRequest(ctx, failures.get(ctx));
});

server.on('request', provider.callback());
writeFileSync(`${dir}/exports.new`, [
  `export OIDC_URL=${issuer}`,
  `export OIDC_FHIR=${issuer}/fhir`,
  `export OIDC_TOKEN_URL=${tokenUrl}`,
  `export OIDC_REGISTER_URL=${issuer}/reg`,
  `export OIDC_CONTROL=${issuer}/control`,
  `export OIDC_LOG='${dir}/log'`,
  '',
].join('\n'));
renameSync(`${dir}/exports.new`, `${dir}/exports`);
