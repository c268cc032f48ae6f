import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vite';

const TEXT = /\.(js|css|html|svg)$/;

/** Writes .br and .gz beside every text file, so the server never compresses anything itself. */
function packed(): Plugin {
  return {
    name: 'packed',
    apply: 'build',
    closeBundle() {
      for (const name of readdirSync('dist', { recursive: true, encoding: 'utf8' })) {
        if (!TEXT.test(name)) continue;
        const file = join('dist', name);
        const plain = readFileSync(file);
        writeFileSync(`${file}.gz`, gzipSync(plain, { level: 9 }));
        writeFileSync(`${file}.br`, brotliCompressSync(plain, { params: { [constants.BROTLI_PARAM_QUALITY]: 10 } }));
      }
    },
  };
}

const cloud = process.env.AEREKOS_URL ?? 'https://127.0.0.1:7443';
// The cloud takes its cookie only from its own page, which under development this server's is.
const toCloud = { target: cloud, secure: false, changeOrigin: true, ws: true, headers: { origin: cloud } };

export default defineConfig({
  plugins: [react(), packed()],
  resolve: { alias: { 'react-native': 'react-native-web' } },
  define: { 'process.env.NODE_ENV': JSON.stringify(process.env.NODE_ENV ?? 'production') },
  // Inlined files would be data: URLs, which the Content-Security-Policy keeps out.
  build: { assetsInlineLimit: 0, target: 'es2022', modulePreload: { polyfill: false } },
  server: {
    proxy: Object.fromEntries(
      [
        '/api',
        '/apis',
        '/auth',
        '/agents',
        '/logs',
        '/traffic',
        '/audit',
        '/join',
        '/services',
        '/catalog',
        '/cloud',
        '/templates',
        '/version',
        '/openapi',
      ].map((path) => [path, toCloud]),
    ),
  },
  test: { environment: 'happy-dom', include: ['src/**/*.test.{ts,tsx}'] },
} as Parameters<typeof defineConfig>[0]);
