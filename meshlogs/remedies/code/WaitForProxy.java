import java.io.IOException;
import java.net.HttpURLConnection;
import java.net.Proxy;
import java.net.URI;
import java.time.Duration;
import java.util.concurrent.TimeoutException;

/** Waits until the pod's proxy is ready. Call {@link #await} before the first connection is opened. Java 11 or newer. */
public final class WaitForProxy {
    private WaitForProxy() {}

    /**
     * Returns when PROXY_READY_URL answers 200; at once where the variable is not set (a pod that has no proxy).
     *
     * @throws TimeoutException after {@code limit}
     */
    public static void await(Duration limit) throws InterruptedException, IOException, TimeoutException {
        String url = System.getenv("PROXY_READY_URL");
        if (url == null || url.isEmpty()) {
            return;
        }
        long deadline = System.nanoTime() + limit.toNanos();
        while (!ready(url)) {
            if (System.nanoTime() - deadline >= 0) {
                throw new TimeoutException("the proxy is not ready at " + url + " after " + limit);
            }
            Thread.sleep(500);
        }
    }

    private static boolean ready(String url) throws IOException {
        // The proxy's readiness is local: no HTTP proxy of the environment may stand between.
        HttpURLConnection connection =
                (HttpURLConnection) URI.create(url).toURL().openConnection(Proxy.NO_PROXY);
        connection.setConnectTimeout(1000);
        connection.setReadTimeout(1000);
        try {
            return connection.getResponseCode() == 200;
        } catch (IOException notYet) {
            return false;
        } finally {
            connection.disconnect();
        }
    }
}
