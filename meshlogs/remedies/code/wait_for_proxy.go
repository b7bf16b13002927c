// Package proxywait waits until the pod's proxy is ready. Call WaitForProxy before the first connection is opened.
package proxywait

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"
)

// WaitForProxy returns nil when PROXY_READY_URL answers 200; at once where the variable is not set (a pod that has
// no proxy). It returns an error when the context ends first: give it a deadline.
func WaitForProxy(ctx context.Context) error {
	url := os.Getenv("PROXY_READY_URL")
	if url == "" {
		return nil
	}
	// The proxy's readiness is local: no HTTP proxy of the environment may stand between.
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{Proxy: nil}}
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return fmt.Errorf("PROXY_READY_URL: %w", err)
		}
		if answer, err := client.Do(request); err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the proxy is not ready at %s: %w", url, ctx.Err())
		case <-time.After(500 * time.Millisecond):
		}
	}
}
