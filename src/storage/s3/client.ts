import http from 'node:http';
import https from 'node:https';
import type { S3Client, S3ClientConfig } from '@aws-sdk/client-s3';
import { loadSdk } from '../sdk.ts';
import { isLoopback } from './endpoint.ts';
import type { S3Spec } from './spec.ts';

export type S3Sdk = typeof import('@aws-sdk/client-s3');

/** How long a server may be silent. */
export interface Patience {
  connectMs: number;
  /** Between any two bytes that come or go, in the middle of a body too. */
  silenceMs: number;
}

const PATIENCE: Patience = { connectMs: 10_000, silenceMs: 60_000 };
/** Connections that are kept open at once; more requests than these wait for one. */
const CONNECTIONS = 64;

/** The SDK and a client of it. It connects with its first request; credentials are looked for then. */
export async function openClient(
  spec: S3Spec,
  patience: Patience = PATIENCE,
): Promise<{ sdk: S3Sdk; client: S3Client }> {
  const sdk = await loadSdk(() => import('@aws-sdk/client-s3'), '@aws-sdk/client-s3', 's3:// storages');
  return { sdk, client: new sdk.S3Client(clientConfig(spec, patience)) };
}

function clientConfig(spec: S3Spec, { connectMs, silenceMs }: Patience): S3ClientConfig {
  const here = spec.endpoint !== undefined && isLoopback(new URL(spec.endpoint).hostname);
  // HTTPS_PROXY and NO_PROXY; from Node 24.5 on, others pass over it.
  const agent = { keepAlive: true, maxSockets: CONNECTIONS, ...(!here && { proxyEnv: process.env }) };
  return {
    ...(spec.region !== undefined && { region: spec.region }),
    ...(spec.endpoint !== undefined && { endpoint: spec.endpoint }),
    ...(spec.profile !== undefined && { profile: spec.profile }),
    ...(spec.credentials !== undefined && { credentials: spec.credentials }),
    forcePathStyle: spec.pathStyle,
    maxAttempts: 1, // wrap/retry.ts repeats
    // Checksums by the newer headers are refused by some servers, and sent in a way that others can't read (body.ts).
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // Costs a round trip for each object, and in this SDK a new connection too.
    expectContinueHeader: false,
    requestHandler: {
      connectionTimeout: connectMs,
      socketTimeout: silenceMs,
      httpAgent: new http.Agent(agent),
      httpsAgent: new https.Agent(agent),
    },
    // What it has to tell is told by its errors; standard error belongs to the program.
    logger: { trace() {}, debug() {}, info() {}, warn() {}, error() {} },
  };
}
