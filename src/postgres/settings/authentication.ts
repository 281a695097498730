/**
 * Hands the password to pg, but only to a server that asks for it in a way the settings allow.
 * Source: https://www.postgresql.org/docs/current/libpq-connect.html (channel_binding, require_auth).
 */
import type { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { TidemarkError } from '../../base/errors.ts';
import type { ConnectionSettings } from './connectionSettings.ts';
import type { HostAddress } from './hosts.ts';
import { passwordFor } from './settings.ts';

/** The part of pg's Connection that is relied on (pg 8.23, lib/connection.js). */
export type PgConnection = EventEmitter & { stream: Socket };

/** What the server asked for: method in require_auth's words, `none` as long as it asked for nothing. */
export class AuthenticationGuard {
  #settings: ConnectionSettings;
  #host: HostAddress;
  #method = 'none';
  #bound = false;

  constructor(settings: ConnectionSettings, host: HostAddress) {
    this.#settings = settings;
    this.#host = host;
  }

  /** Must be called before the client connects. */
  watch(connection: PgConnection, encrypted: boolean): void {
    connection.prependListener('authenticationCleartextPassword', () => {
      this.#method = 'password';
    });
    connection.prependListener('authenticationMD5Password', () => {
      this.#method = 'md5';
    });
    connection.prependListener('authenticationSASL', (message: { mechanisms: string[] }) => {
      this.#method = 'scram-sha-256';
      this.#bound = encrypted && message.mechanisms.includes('SCRAM-SHA-256-PLUS');
    });
  }

  /**
   * pg calls this once the server asked. A function rather than a value also keeps pg from reading ~/.pgpass itself.
   * @throws PASSWORD_MISSING, AUTHENTICATION_NOT_ALLOWED
   */
  password(): string {
    this.requireAllowed();
    const password = passwordFor(this.#settings, this.#host);
    if (password) return password;
    throw new TidemarkError(
      'PASSWORD_MISSING',
      `the server asks for a password, and there is none for user ${this.#settings.user}`,
      this.#settings.warnings?.[0] ?? 'put it in the URL, PGPASSWORD or ~/.pgpass',
    );
  }

  /** To be called once more when connected: a server that asked for nothing never called for the password. */
  requireAllowed(): void {
    const { channelBinding, requireAuth } = this.#settings;
    if (channelBinding === 'require' && !this.#bound) {
      throw new TidemarkError(
        'AUTHENTICATION_NOT_ALLOWED',
        'channel_binding=require, but the server does not offer channel binding',
        'something between here and the server may end TLS; if you trust it, use channel_binding=prefer',
      );
    }
    if (!requireAuth) return;
    const listed = requireAuth.includes(this.#method);
    const forbidden = requireAuth.includes(`!${this.#method}`);
    if (forbidden || (!listed && !requireAuth[0]?.startsWith('!'))) {
      throw new TidemarkError(
        'AUTHENTICATION_NOT_ALLOWED',
        `the server wants authentication ${this.#method}, which require_auth=${requireAuth.join(',')} rules out`,
        'change require_auth, or the entry in pg_hba.conf',
      );
    }
  }
}
