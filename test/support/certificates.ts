import { execFile } from "node:child_process";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Files of a certificate and its key. */
export interface Certificate {
  readonly certFile: string;
  readonly keyFile: string;
}

/** A certificate authority for one test, in a folder that is to be removed after it. */
export class Authority {
  private constructor(readonly folder: string) {}

  static async create(): Promise<Authority> {
    const authority = new Authority(await mkdtemp(join(tmpdir(), "test-certificates-")));
    const { certFile, keyFile } = authority.#files("ca");
    const subject = ["-subj", "/CN=an authority of the tests", "-days", "2"];
    await run("openssl", ["req", "-x509", ...NEW_KEY, "-keyout", keyFile, "-out", certFile, ...subject]);
    return authority;
  }

  get caFile(): string {
    return this.#files("ca").certFile;
  }

  /** A certificate for this common name, and for this machine where it is a server's. */
  async issue(name: string): Promise<Certificate> {
    const files = this.#files(name);
    const request = join(this.folder, `${name}.csr`);
    const extensions = join(this.folder, `${name}.ext`);
    await writeFile(
      extensions,
      name === "server" ? "subjectAltName=IP:127.0.0.1,DNS:localhost\n" : "basicConstraints=CA:FALSE\n",
    );
    const subject = ["-subj", `/CN=${name}`];
    await run("openssl", ["req", ...NEW_KEY, "-keyout", files.keyFile, "-out", request, ...subject]);
    const { certFile, keyFile } = this.#files("ca");
    await run("openssl", [
      ...["x509", "-req", "-in", request, "-CA", certFile, "-CAkey", keyFile, "-CAcreateserial"],
      ...["-days", "2", "-extfile", extensions, "-out", files.certFile],
    ]);
    return files;
  }

  #files(name: string): Certificate {
    return { certFile: join(this.folder, `${name}.pem`), keyFile: join(this.folder, `${name}.key`) };
  }
}

const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
