import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.Provider;
import java.security.Security;
import java.security.Signature;
import java.util.Base64;
import java.util.UUID;

/**
 * Client assertions in Java: the JDK's own SunPKCS11.
 *
 * <p>java Peer MODULE TOKEN-LABEL PIN-FILE KEY-LABEL ALG once|serve. Its key store shows only keys that have a
 * certificate with the same CKA_ID on the token.
 */
public final class Peer {
    private static final String CLIENT = "8d5f6a1e-0000-4000-8000-0123456789ab";

    private static Provider provider;
    private static PrivateKey key;
    private static String alg;

    private Peer() { }

    private static String part(String json) {
        return Base64.getUrlEncoder().withoutPadding().encodeToString(json.getBytes(StandardCharsets.UTF_8));
    }

    private static String assertion() throws Exception {
        long now = System.currentTimeMillis() / 1000;
        String input = part("{\"alg\":\"" + alg + "\",\"kid\":\"0123456789abcdefghij\",\"typ\":\"JWT\"}") + "."
            + part("{\"iss\":\"" + CLIENT + "\",\"sub\":\"" + CLIENT
                   + "\",\"aud\":\"https://ehr.example/oauth2/token\",\"exp\":" + (now + 240) + ",\"iat\":" + now
                   + ",\"jti\":\"" + UUID.randomUUID() + "\"}");
        boolean isEc = alg.equals("ES384");
        // SoftHSM2 has no CKM_ECDSA_SHA384: the digest is made outside.
        Signature signature = Signature.getInstance(isEc ? "NONEwithECDSAinP1363Format" : "SHA384withRSA", provider);
        byte[] data = input.getBytes(StandardCharsets.US_ASCII);
        if (isEc) {
            data = java.security.MessageDigest.getInstance("SHA-384").digest(data);
        }
        signature.initSign(key);
        signature.update(data);
        return input + "." + Base64.getUrlEncoder().withoutPadding().encodeToString(signature.sign());
    }

    public static void main(String[] args) throws Exception {
        Path configuration = Files.createTempFile("bench", ".cfg");
        // The slot is named by its place in the list: the benchmark's token directory holds one token.
        Files.writeString(configuration, "name = bench\nlibrary = " + args[0] + "\nslotListIndex = 0\n");
        provider = Security.getProvider("SunPKCS11").configure(configuration.toString());
        Files.delete(configuration);
        Security.addProvider(provider);
        KeyStore store = KeyStore.getInstance("PKCS11", provider);
        store.load(null, Files.readString(Path.of(args[2])).trim().toCharArray());
        key = (PrivateKey) store.getKey(args[3], null);
        if (key == null) {
            throw new IllegalStateException("the key store shows no key " + args[3]);
        }
        alg = args[4];
        if (args[5].equals("once")) {
            System.out.println(assertion());
            return;
        }
        assertion();
        System.out.println("ready");
        System.out.flush();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        for (String line; (line = in.readLine()) != null;) {
            long began = System.nanoTime();
            long end = began + Long.parseLong(line.split(" ")[1]) * 1000000L;
            long count = 0;
            while (System.nanoTime() < end) {
                assertion();
                count++;
            }
            System.out.println(count + " " + (System.nanoTime() - began));
            System.out.flush();
        }
    }
}
