// An OpenID provider on a free port of 127.0.0.1, for tests. A browser that comes to sign in is signed in at once, as CONTROL
// says: POST /control sets it, GET /control shows it. The first line of output is its URL. It ends with its standard
// input, so that none outlives its test.
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const options = JSON.parse(process.argv[2] ?? '{}');
const control = { account: 'someone', deny: false, withhold: [], requests: {} };

const server = createServer();
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const issuer = `http://127.0.0.1:${server.address().port}`;

const grants = ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'];
const common = { grant_types: grants, response_types: ['code'], application_type: 'native' };
const provider = new Provider(issuer, {
  clients: [
    {
      ...common,
      client_id: 'desktop',
      client_secret: 'desktop-secret',
      token_endpoint_auth_method: 'client_secret_post',
      redirect_uris: options.redirects ?? ['http://127.0.0.1/callback', 'http://localhost/callback'],
    },
    {
      ...common,
      client_id: 'basic',
      client_secret: 'basic/secret+with:signs',
      token_endpoint_auth_method: 'client_secret_basic',
      redirect_uris: options.redirects ?? ['http://127.0.0.1/callback'],
    },
  ],
  scopes: ['openid', 'offline_access', 'email', 'profile', 'mail.read', 'calendar.read'],
  claims: { openid: ['sub'], email: ['email'], profile: ['name'] },
  // The ID token says all, as most providers' do.
  conformIdTokenClaims: false,
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, email: `${id}@example.com`, name: id }) }),
  features: {
    devInteractions: { enabled: false },
    revocation: { enabled: true },
    deviceFlow: { enabled: true },
  },
  pkce: { required: () => true },
  rotateRefreshToken: options.rotate ?? true,
  issueRefreshToken: (_, client, code) => client.grantTypeAllowed('refresh_token') && code.scopes.has('offline_access'),
  // Without it, tokens of a few seconds seem never to end.
  clockTolerance: 0,
  ttl: { AccessToken: options.accessSeconds ?? 3600, RefreshToken: 86400, Session: 86400, Grant: 86400, Interaction: 600, IdToken: 3600, DeviceCode: 600 },
  cookies: { keys: ['of this process only'] },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
});

async function consent(accountId, clientId, scope) {
  const grant = new provider.Grant({ accountId, clientId });
  const asked = (scope ?? '').split(' ').filter(Boolean);
  grant.addOIDCScope(asked.filter((one) => !control.withhold.includes(one)).join(' '));
  grant.rejectOIDCScope(asked.filter((one) => control.withhold.includes(one)).join(' '));
  return grant.save();
}

async function interact(request, response) {
  const { prompt, params, session } = await provider.interactionDetails(request, response);
  let result;
  if (control.deny) {
    result = { error: 'access_denied', error_description: 'the person refused' };
  } else if (prompt.name === 'login') {
    result = { login: { accountId: control.account } };
  } else {
    result = { consent: { grantId: await consent(session.accountId, params.client_id, params.scope) } };
  }
  await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: true });
}

async function approve(userCode) {
  const code = await provider.DeviceCode.findByUserCode(userCode.toUpperCase().replace(/[^A-Z0-9]/g, ''));
  Object.assign(code, {
    accountId: control.account,
    authTime: Math.floor(Date.now() / 1000),
    scope: code.params.scope,
    grantId: await consent(control.account, code.clientId, code.params.scope),
  });
  await code.save();
}

async function handleControl(request, response) {
  if (request.method === 'POST') {
    let text = '';
    for await (const chunk of request) text += chunk;
    const { approve: userCode, ...changes } = JSON.parse(text);
    Object.assign(control, changes);
    if (userCode) await approve(userCode);
  }
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(control));
}

const callback = provider.callback();
server.on('request', (request, response) => {
  const { pathname } = new URL(request.url, issuer);
  const count = `${request.method} ${pathname.startsWith('/interaction/') ? '/interaction' : pathname}`;
  if (pathname !== '/control') control.requests[count] = (control.requests[count] ?? 0) + 1;
  const failed = (error) => {
    console.error(error);
    response.statusCode = 500;
    response.end();
  };
  if (pathname === '/control') handleControl(request, response).catch(failed);
  else if (pathname.startsWith('/interaction/')) interact(request, response).catch(failed);
  else callback(request, response);
});

console.log(issuer);
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
